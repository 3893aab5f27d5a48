"""From a translation unit to native code on disk: compiler, cache, object files."""
