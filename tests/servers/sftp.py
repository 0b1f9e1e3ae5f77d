"""OpenSSH's server on loopback, with keys and a configuration of its own; it serves SFTP to the user who runs the tests."""

import contextlib
import getpass
import os
from collections.abc import Iterator
from pathlib import Path

from tests.servers.files import FileServer
from tests.servers.process import answers, find, free_port, run, running, wait_until

MISSING = "OpenSSH's server is not installed: apt-get install openssh-server"

_CONFIG = """\
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host_key
PidFile none
AuthorizedKeysFile {folder}/user_key.pub
PasswordAuthentication no
KbdInteractiveAuthentication no
StrictModes no
UsePAM no
PermitRootLogin yes
MaxStartups 64
Subsystem sftp internal-sftp
"""


def program() -> str | None:
    """Return where it is."""
    return find("sshd", Path("/usr/sbin"))


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[FileServer]:
    """Run it; its files are below a folder of the machine, for it shows all of them."""
    port, data = free_port(), folder / "data"
    data.mkdir()
    for name in ("host_key", "user_key"):
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)])
    kind, key, *_ = (folder / "host_key.pub").read_text().split()
    known = folder / "known_hosts"
    known.write_text(f"[127.0.0.1]:{port} {kind} {key}\n")
    (folder / "sshd_config").write_text(_CONFIG.format(port=port, folder=folder))
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # where it locks itself in before a user is known
    log = folder / "sshd.log"
    options: dict[str, object] = {"key_filename": str(folder / "user_key"), "known_hosts": str(known)}
    with running([program() or "sshd", "-D", "-e", "-f", str(folder / "sshd_config")], log=log) as pid:
        wait_until(lambda: answers(port), "sshd's start", log=log)
        yield FileServer(name="OpenSSH", url=f"sftp://{getpass.getuser()}@127.0.0.1:{port}{data}", folder=data, pid=pid, options=options)
