"""Which operator writes, and what it misses while it cannot see."""

import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

from gateway_objects import gateway_of, route_of
from operator_process import Account, Operator, apply, attached, audit_position, get, kubectl, until

Begin = Callable[..., Operator]


def test_it_is_handed_over_at_once_and_taken_over_after_a_while(begin: Begin, namespace: str) -> None:
    first = begin()
    until("the first to lead", lambda: first.has_said("leading"))
    second = begin()
    until("the second to be up", lambda: is_listening(second.web))
    apply(gateway_of(namespace))
    until("the Deployment", lambda: get("deployment", "gw-varnish", f"--namespace={namespace}"))
    assert second.events() == [], "who does not lead does nothing"
    began = time.monotonic()
    assert first.stop() == 0
    until("the second to lead", lambda: second.has_said("leading"), 5)
    assert time.monotonic() - began < 5
    apply(route_of(namespace))
    until("the number of routes", lambda: attached(namespace, "gw") == 1)

    third = begin()
    until("the third to be up", lambda: is_listening(third.web))
    second.stop(signal.SIGKILL)
    kubectl("delete", "httproute", "web", f"--namespace={namespace}")
    until("the third to lead", lambda: third.has_said("leading"), 25)
    until("the number of routes", lambda: attached(namespace, "gw") == 0)


def test_two_at_once_do_not_fight(begin: Begin, account: Account, namespace: str) -> None:
    since = audit_position()
    both = begin(), begin()
    apply(gateway_of(namespace))
    until("the number of routes", lambda: attached(namespace, "gw") == 0)
    leading = [each.has_said("leading") for each in both]
    assert sorted(leading) == [False, True]
    time.sleep(3)  # a war would go on and on
    writes = [each for each in account.writes(since) if namespace in each]
    assert max(writes.count(each) for each in writes) <= 3, writes


def test_what_happens_while_the_api_server_is_away_is_noticed(begin: Begin, account: Account, namespace: str) -> None:
    with Way() as way:
        operator = begin(account.by_way_of(way.port))
        apply(gateway_of(namespace) + route_of(namespace))
        until("the number of routes", lambda: attached(namespace, "gw") == 1)
        way.cut()
        kubectl("delete", "httproute", "web", f"--namespace={namespace}")
        kubectl("delete", "role", "gw-varnish", f"--namespace={namespace}")
        until("the Lease to be lost", lambda: operator.has_said("not leading"), 15)
        assert attached(namespace, "gw") == 1
        way.mend()
        until("the number of routes", lambda: attached(namespace, "gw") == 0, 35)
        until("the role", lambda: get("role", "gw-varnish", f"--namespace={namespace}"))
        assert operator.process.poll() is None


def test_without_a_right_it_says_so_and_goes_on_when_it_has_it(begin: Begin, namespace: str) -> None:
    role = get("clusterrole", "gateway-varnish-gateway") or get("clusterrole", "varnish-gateway")
    assert role
    name = role["metadata"]["name"]
    kept = [each for each in role["rules"] if "services" not in each["resources"]]
    kubectl("patch", "clusterrole", name, "--type=merge", f"--patch={patch(kept)}")
    try:
        operator = begin()
        until("its complaint", lambda: any("Service is not followed" in each for each in operator.events()))
        apply(gateway_of(namespace))
        time.sleep(1)
        assert attached(namespace, "gw") is None, "nothing is decided by half a view"
    finally:
        kubectl("patch", "clusterrole", name, "--type=merge", f"--patch={patch(role['rules'])}")
    until("its work", lambda: attached(namespace, "gw") == 0, 35)


def patch(rules: object) -> str:
    import json

    return json.dumps({"rules": rules})


def is_listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Way:
    """To the API server, and it can be cut."""

    def __init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self._is_cut = threading.Event()
        self._open: list[socket.socket] = []

    def __enter__(self) -> "Way":
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.cut()
        self._server.close()

    def cut(self) -> None:
        """Nothing gets through any more."""
        self._is_cut.set()
        for each in self._open:
            close(each)
        self._open.clear()

    def mend(self) -> None:
        self._is_cut.clear()

    def _accept(self) -> None:
        for near in connections(self._server):
            if self._is_cut.is_set():
                close(near)
                continue
            far = socket.create_connection(("127.0.0.1", 6443))
            self._open += [near, far]
            for source, target in ((near, far), (far, near)):
                threading.Thread(target=pass_on, args=(source, target), daemon=True).start()


def connections(server: socket.socket) -> Iterator[socket.socket]:
    while True:
        try:
            yield server.accept()[0]
        except OSError:
            return


def pass_on(source: socket.socket, target: socket.socket) -> None:
    try:
        while content := source.recv(65536):
            target.sendall(content)
    except OSError:
        pass
    close(source)
    close(target)


def close(each: socket.socket) -> None:
    with suppress(OSError):
        each.shutdown(socket.SHUT_RDWR)
    each.close()
