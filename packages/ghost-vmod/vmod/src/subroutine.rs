//! Where in VCL a function may be called: user VCL can call each of them from anywhere, and Varnish's parts of a task are
//! not what they should be elsewhere.

use crate::context::Context;

/// Subroutines of VCL; a bit each, as Varnish's vcl.h numbers them.
#[derive(Clone, Copy)]
pub struct Subroutines(u32);

pub const RECV: Subroutines = Subroutines(1 << 1);
pub const PIPE: Subroutines = Subroutines(1 << 2);
pub const PASS: Subroutines = Subroutines(1 << 3);
pub const HASH: Subroutines = Subroutines(1 << 4);
pub const PASS_OR_MISS: Subroutines = Subroutines(1 << 3 | 1 << 6);
pub const DELIVER: Subroutines = Subroutines(1 << 8);
pub const SYNTH: Subroutines = Subroutines(1 << 9);
pub const BACKEND_FETCH: Subroutines = Subroutines(1 << 10);
pub const BACKEND_RESPONSE: Subroutines = Subroutines(1 << 11);
pub const SYNTH_OR_BACKEND_ERROR: Subroutines = Subroutines(1 << 9 | 1 << 12);
pub const INIT: Subroutines = Subroutines(1 << 13);
/// All that belong to a request.
pub const REQUEST: Subroutines = Subroutines((1 << 13) - (1 << 1));

impl Subroutines {
    /// Whether the call comes from one of them; if not, VCL fails there, and says why.
    pub fn admit(self, context: Context, function: &str) -> bool {
        let is_here = self.0 & context.subroutine() != 0;
        if !is_here {
            context.fail(&format!("ghost: vgw_router.{function}() is not for this subroutine"));
        }
        is_here
    }
}
