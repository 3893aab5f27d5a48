"""Commands about this machine: what it has, whether its judge holds, programs that use Metal."""
