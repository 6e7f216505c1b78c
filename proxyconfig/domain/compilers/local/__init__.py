"""Intent to what the local proxy holds: Caddy servers for ingress, one tenant entry for egress."""
