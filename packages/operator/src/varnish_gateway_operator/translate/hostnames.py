"""Hostnames of listeners and routes: what they cover and where they meet.

Empty stands for any host. A wildcard covers one label or more: `*.example.com` covers `a.b.example.com` and not
`example.com`.
"""


def covers(pattern: str, hostname: str) -> bool:
    """Whether every host that `hostname` stands for belongs to `pattern`."""
    if not pattern or pattern == hostname:
        return True
    return pattern.startswith("*.") and hostname.removeprefix("*").endswith(pattern[1:]) and hostname != pattern[2:]


def intersects(one: str, other: str) -> bool:
    """Whether some host belongs to both.

    "If both the Listener and HTTPRoute have specified hostnames, any HTTPRoute hostnames that do not match the
    Listener hostname MUST be ignored." Two patterns meet only where one covers the other.
    """
    return covers(one, other) or covers(other, one)


def of_route_on(listener: str, hostnames: tuple[str, ...]) -> tuple[str, ...]:
    """The route's own hostnames that intersect with the listener's; a route without any stands under the empty one."""
    return tuple(dict.fromkeys(name for name in hostnames or ("",) if intersects(listener, name)))
