# Varnish Gateway, after the preamble, only where the user's VCL has nothing of what this skips: vcl_backend_*,
# vcl_deliver, vcl_synth and vcl_pass. A pass is then one exchange with the backend in the client's own thread.

sub vcl_init {
    vgw_router.pass_directly();
}

sub vcl_pass {
    # Chooses a backend, applies the request filters, sends, reads the answer's head; 0: only Varnish's fetch can do it.
    if (vgw_router.ask() != 0) {
        return (synth(vgw_router.answer()));
    }
}
