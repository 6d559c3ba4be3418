"""Real Redis servers of a test run's own: one alone, three Sentinels over a pair, a Cluster of three pairs."""

import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import redis

from server.embedded.redis_child import find_server

PATIENCE_S = 40
SLOTS = 16384
_OPTIONS = (
    *("--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--maxmemory-policy", "noeviction"),
    *("--repl-diskless-sync", "yes", "--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1"),
)
# A replica takes over where others' slots go on meanwhile.
_CLUSTER = (
    *("--cluster-enabled", "yes", "--cluster-node-timeout", "1000", "--cluster-require-full-coverage", "no"),
    *("--cluster-replica-validity-factor", "0"),
)
_SENTINEL = """port {port}
bind 127.0.0.1
sentinel monitor haoma 127.0.0.1 {master} 2
sentinel down-after-milliseconds haoma 1000
sentinel failover-timeout haoma 3000
"""


def until(true: Callable[[], bool], what: str) -> None:
    """Wait for other processes, which can only be polled."""
    end = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < end, f"in vain: {what}"
        time.sleep(0.02)


def session(key: str) -> tuple[list[str], str, str]:
    """Keys, id and topic, which every step of a session begins with."""
    return [key, f"{key}:all", f"{key}:version"], "", "events:sessions"


def free_port() -> int:
    """A port that is free, as is the one of the Cluster bus 10000 above."""
    while True:
        with socket.socket() as one, socket.socket() as bus:
            one.bind(("127.0.0.1", 0))
            port = int(one.getsockname()[1])
            try:
                bus.bind(("127.0.0.1", port + 10000))
            except (OSError, OverflowError):
                continue
            return port


class Server:
    """One process; it may be killed and started again at the same port."""

    def __init__(self, home: Path, *options: str, port: int | None = None, config: str | None = None) -> None:
        self.port = port or free_port()
        self._home = home / str(self.port)
        self._home.mkdir(parents=True)
        self._command = [str(find_server()), "--port", str(self.port), "--dir", str(self._home), *_OPTIONS, *options]
        if config:
            file = self._home / "sentinel.conf"
            file.write_text(config.format(port=self.port))
            self._command = [str(find_server()), str(file), "--sentinel"]
        self._client = redis.Redis(port=self.port, decode_responses=True, socket_timeout=2, retry=None)
        self.start()

    def start(self) -> None:
        """Start it; it does not answer yet."""
        with (self._home / "log").open("ab") as log:
            self._process = subprocess.Popen(self._command, cwd=self._home, stdout=log, stderr=log)
        self.paused = False

    def ask(self, *command: Any) -> Any:
        """A command of a test's own."""
        return self._client.execute_command(*command)

    def info(self) -> dict[str, Any]:
        """INFO, or nothing from a server that does not answer."""
        try:
            return dict(self.ask("INFO"))
        except (redis.RedisError, OSError):
            return {}

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def kill(self) -> None:
        """As a power cut would."""
        self._process.kill()
        self._process.wait()

    def pause(self) -> None:
        """Not dead, but silent."""
        self._process.send_signal(signal.SIGSTOP)
        self.paused = True

    def resume(self) -> None:
        """Go on as if nothing had been."""
        self._process.send_signal(signal.SIGCONT)
        self.paused = False

    def close(self) -> None:
        self._client.close()
        self.kill()


class Rig:
    """Several servers. `heal()` makes of what a test left of them a whole again."""

    def __init__(self, home: Path) -> None:
        self.servers: list[Server] = []
        try:
            self.build(home)
            self.heal()
        except BaseException:
            self.close()
            raise

    def build(self, home: Path) -> None:
        """Start all servers and tell them of each other."""
        self.servers = [Server(home)]

    @property
    def url(self) -> str:
        """What goes into REDIS_URL."""
        return f"redis://127.0.0.1:{self.servers[0].port}"

    def whole(self) -> bool:
        """True when every server does its part."""
        return all(server.info() for server in self.servers)

    def heal(self) -> None:
        """Start what is dead, wake what is paused, wait until all is well."""
        for server in self.servers:
            if not server.alive:
                server.start()
            if server.paused:
                server.resume()
        until(lambda: all(server.info() for server in self.servers), "all servers answer")
        self.join()
        until(self.whole, f"{type(self).__name__} is whole")

    def join(self) -> None:
        """Give those that came back their part."""

    def close(self) -> None:
        for server in self.servers:
            server.close()


class StandaloneRig(Rig):
    """One server."""


class SentinelRig(Rig):
    """A master and a replica, and three Sentinels that watch them."""

    def build(self, home: Path) -> None:
        self.servers = [first := Server(home)]
        self.servers.append(Server(home, "--replicaof", "127.0.0.1", str(first.port)))
        self.pair = [*self.servers]
        until(lambda: _has_replicas(first, 1), "the replica is there")  # Sentinels ask for replicas every 10 s only.
        config = _SENTINEL.replace("{master}", str(first.port))
        for _ in range(3):
            self.servers.append(Server(home, config=config))
        self.sentinels = self.servers[2:]

    @property
    def url(self) -> str:
        hosts = ",".join(f"127.0.0.1:{server.port}" for server in self.sentinels)
        return f"redis+sentinel://{hosts}/haoma"

    @property
    def master(self) -> Server:
        """The one that the Sentinels name."""
        port = int(self.sentinels[0].ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "haoma")[1])
        return next(server for server in self.pair if server.port == port)

    def join(self) -> None:
        """The Sentinels would do it too, but take ten seconds to be sure."""
        master = self.master
        for server in self.pair:
            if server is not master and server.info()["role"] == "master":
                server.ask("REPLICAOF", "127.0.0.1", master.port)

    def whole(self) -> bool:
        masters = [server for server in self.pair if server.info().get("role") == "master"]
        return masters == [self.master] and _has_replicas(self.master, 1) and all(map(_sees_all, self.sentinels))


class ClusterRig(Rig):
    """Three masters with a replica each."""

    def build(self, home: Path) -> None:
        for _ in range(6):
            self.servers.append(Server(home, *_CLUSTER))
        until(lambda: all(server.info() for server in self.servers), "all servers answer")
        for number, server in enumerate(self.servers):
            server.ask("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
            server.ask("CLUSTER", "MEET", "127.0.0.1", self.servers[0].port)
        masters, replicas = self.servers[:3], self.servers[3:]
        for number, master in enumerate(masters):
            master.ask("CLUSTER", "ADDSLOTS", *range(SLOTS * number // 3, SLOTS * (number + 1) // 3))
        for master, replica in zip(masters, replicas, strict=True):
            name = master.ask("CLUSTER", "MYID")
            until(
                lambda replica=replica, name=name: name in replica.ask("CLUSTER", "NODES"),
                "the replica knows its master",
            )
            replica.ask("CLUSTER", "REPLICATE", name)

    @property
    def url(self) -> str:
        return "redis+cluster://" + ",".join(f"127.0.0.1:{server.port}" for server in self.servers[:3])

    @property
    def masters(self) -> list[Server]:
        """Those that say so and answer."""
        return [server for server in self.servers if server.alive and server.info().get("role") == "master"]

    def owner(self, key: str) -> Server:
        """The master that has a key."""
        slot = self.servers[0].ask("CLUSTER", "KEYSLOT", key)
        for server in self.masters:
            for first, last, place, *_ in server.ask("CLUSTER", "SLOTS"):
                if first <= slot <= last and place[1] == server.port:
                    return server
        raise AssertionError(f"nobody has {key}")

    def whole(self) -> bool:
        if not all(map(_in_good_state, self.servers)):
            return False
        return len(self.masters) == 3 and all(_has_replicas(master, 1) for master in self.masters)


def _has_replicas(server: Server, count: int) -> bool:
    info = server.info()
    return info.get("connected_slaves") == count and all(
        info[f"slave{number}"]["state"] == "online" for number in range(count)
    )


def _sees_all(sentinel: Server) -> bool:
    state = sentinel.ask("SENTINEL MASTER", "haoma")
    return (state["num-other-sentinels"], state["num-slaves"], state["flags"]) == (2, 1, "master")


def _in_good_state(server: Server) -> bool:
    if not server.info():
        return False
    state, nodes = server.ask("CLUSTER", "INFO"), server.ask("CLUSTER", "NODES")
    return (
        "cluster_state:ok" in state and nodes.count(" connected") == len(nodes.splitlines()) and "fail" not in nodes
    )
