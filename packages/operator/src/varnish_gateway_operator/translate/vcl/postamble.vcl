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
