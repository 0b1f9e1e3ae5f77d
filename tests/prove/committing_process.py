"""One writer: saves a file of its own again and again to a repository of a server, and prints the id of each version it was told of."""

import sys

from kist import Client


def main(url: str, name: str, number: str, saves: str) -> None:
    """Save; the token comes by `KIST_TOKEN`."""
    with Client(url) as client:
        repo = client.get_repo(name)
        for save in range(int(saves)):
            version = repo.save(f"writer-{number}/value.txt", f"{number} {save}\n".encode(), message=f"{number}:{save}")
            sys.stdout.write(f"{version.id}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
