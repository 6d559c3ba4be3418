"""bcrypt and nothing else: `bare_bcrypt.py COST THREADS` hashes as many passwords as each line of its input says, and
prints the seconds that they took."""

import sys
import time
from concurrent.futures import ThreadPoolExecutor

import bcrypt


def main(cost: int, threads: int) -> None:
    """One line in, one line out."""
    salt = bcrypt.gensalt(cost)
    with ThreadPoolExecutor(threads) as pool:
        print("ready", flush=True)
        for line in sys.stdin:
            began = time.perf_counter()
            list(pool.map(lambda _: bcrypt.hashpw(b"correct horse battery", salt), range(int(line))))
            print(time.perf_counter() - began, flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
