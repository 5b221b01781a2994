vcl 4.1;

# Varnish Gateway, part 1 of 3: the preamble. User VCL follows, then the postamble.
# What safety depends on stands here: a return(...) of the user's skips only what comes after it.

import ghost;

# Never `default`: that name is the user's. Without a route nothing is fetched from anywhere.
backend vgw_none none;

sub vcl_init {
    new vgw_router = ghost.router();
}

sub vcl_recv {
    # Only the supervisor can open this socket; the same paths on other sockets are ordinary ones.
    if (local.socket == "ghost") {
        return (synth(vgw_router.internal()));
    }
    # Once a request: refuses what is malformed, normalises the target, replaces X-Gateway-*, finds the route.
    # After it, edits of the URL or of Host reach the backend but do not route again; a rollback does.
    if (vgw_router.receive() != 0) {
        return (synth(vgw_router.answer()));
    }
}

sub vcl_hash {
    # Socket, route, host and target, each with its length. Varnish comes here for a pass, too: then it is nothing.
    hash_data(vgw_router.key());
}

sub vcl_pass {
    # GET with Upgrade: websocket asks the backend for the same, whichever way it goes; nothing else does.
    vgw_router.upgrade();
}

sub vcl_pipe {
    # Only user VCL leads here. Varnish would relay whatever the two say, past routing: so the backend is asked as in a pass,
    # and its answer is in vcl_synth. 0: the backend is the user's own.
    if (vgw_router.pipe() != 0) {
        return (synth(vgw_router.answer()));
    }
}

sub vcl_backend_fetch {
    # Every attempt: picks backend and endpoint, applies the request filters to what the client asked for.
    if (vgw_router.fetch() != 0) {
        return (error(vgw_router.answer()));
    }
}

sub vcl_backend_response {
    # Without a cache policy nothing is kept. Varnish does not let anyone undo this; the TTL is that of the mark.
    # A pass is not kept anyway.
    if (!beresp.uncacheable) {
        set beresp.uncacheable = true;
        set beresp.ttl = 120s;
    }
    # The response filters of the backend that was picked.
    vgw_router.response();
}

sub vcl_backend_error {
    set beresp.uncacheable = true;
    set beresp.ttl = 0s;
    vgw_router.synth();
}

sub vcl_deliver {
    # The response filters of the route; Connection: close while draining.
    vgw_router.deliver();
}

sub vcl_synth {
    # The answer of a backend that was asked in this thread, with the response filters; its body is streamed.
    if (vgw_router.relay()) {
        return (deliver);
    }
    # Fills in ghost's own answers and leaves others as they are.
    vgw_router.synth();
    if (local.socket == "ghost") {
        return (deliver);
    }
}
vcl 4.1;
import std;
acl unused { "192.0.2.0"/24; }
backend unused_backend none;
sub vcl_init { return (ok); }
sub vcl_recv {
  if (req.url == "/from-vcl") { return (synth(299, "From VCL")); }
  if (req.url == "/hash") { return (hash); }
  set req.http.X-User-Route = req.http.X-Gateway-Route;
}
sub vcl_backend_response {
  set beresp.ttl = 1h;
  set beresp.http.X-User-Backend = "yes";
  return (deliver);
}
sub vcl_deliver {
  set resp.http.X-User = "yes";
  return (deliver);
}
sub vcl_synth {
  if (resp.status == 404) { set resp.http.X-User-404 = req.http.X-Gateway-Listener; }
  if (resp.status == 299) { set resp.status = 200; return (deliver); }
}
# Varnish Gateway, part 3 of 3: the postamble. It always returns, so that the built-in VCL decides nothing.

sub vcl_recv {
    # ghost's own answers: no route, an unusable rule, a redirect.
    if (vgw_router.decide() != 0) {
        return (synth(vgw_router.answer()));
    }
    return (pass);
}

sub vcl_hash {
    return (lookup);
}

sub vcl_pipe {
    return (pipe);
}

sub vcl_pass {
    # Varnish's fetch begins here; nothing may come between. What user VCL rolled back may lead elsewhere.
    if (vgw_router.lend() != 0) {
        return (synth(vgw_router.answer()));
    }
    return (fetch);
}

sub vcl_miss {
    if (vgw_router.lend() != 0) {
        return (synth(vgw_router.answer()));
    }
    return (fetch);
}

sub vcl_backend_fetch {
    return (fetch);
}

sub vcl_backend_response {
    return (deliver);
}

sub vcl_backend_error {
    return (deliver);
}

sub vcl_deliver {
    return (deliver);
}

sub vcl_synth {
    # What nobody filled in gets a plain body: a synth of the user's own, or Varnish's own 503.
    vgw_router.page();
    return (deliver);
}
