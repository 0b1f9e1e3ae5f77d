"""Starts one program and writes down what it cost; run as a program of its own, ``launch.py RESULT COMMAND...``.

Linux counts the memory of whoever starts a program as the program's own peak. So a small process does it, with nothing imported:
a peak below its 10 MiB can't be seen. CPU time is that of the program and of all its descendants that were waited for.
"""

import os
import sys
import time

result, command = sys.argv[1], sys.argv[2:]
began = time.perf_counter()
child = os.posix_spawnp(command[0], command, os.environ)
status, used = os.wait4(child, 0)[1:]
wall = time.perf_counter() - began
with open(result, "w", encoding="ascii") as file:  # noqa: PTH123 (pathlib costs as much memory as all the rest)
    file.write(f"{used.ru_utime + used.ru_stime} {wall} {used.ru_maxrss * 1024}")
sys.exit(os.waitstatus_to_exitcode(status) & 0xFF)
