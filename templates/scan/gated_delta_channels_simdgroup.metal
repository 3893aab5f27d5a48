{% set name, by_channel, packed = "gated_delta_channels", true, false %}
{% include "gated_delta.jinja" %}
