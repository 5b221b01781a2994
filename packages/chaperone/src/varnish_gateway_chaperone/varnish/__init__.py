"""Everything that knows varnishd: its arguments (pure), its CLI protocol, its VCLs, its statistics, its ghost."""
