{% set name, by_channel = "gated_delta_channels", true %}
{% include "gated_delta.jinja" %}
