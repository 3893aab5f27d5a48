"""What a worker measures: paired times, what the device can do, what SIMD-groups do."""
