"""The part of Caddy's configuration that belongs to no tenant.

The supervisor starts Caddy with it, and the target puts it back where someone changed it.
"""

from proxyconfig.domain.fields import JsonValue


def base_config(*, admin_socket: str, access_log_socket: str) -> dict[str, JsonValue]:
    """Caddy's JSON configuration without any server.

    Args:
        admin_socket: path on which Caddy listens for changes; it has no authentication but the
            file's permissions.
        access_log_socket: path to which Caddy sends one JSON line per request; it may be absent
            when Caddy starts.

    ``persist`` is off, or Caddy would autosave into the home directory and resume old tenants. No
    ``grace_period``: nothing waits for it, and each long answer would leave an error in the log.
    """
    access_encoder: JsonValue = {
        "format": "filter",
        "wrap": {"format": "json"},
        # Headers carry keys and cookies; the ledger needs none of them.
        "fields": {
            "request>headers": {"filter": "delete"},
            "resp_headers": {"filter": "delete"},
        },
    }
    return {
        "admin": {"listen": f"unix/{admin_socket}|0600", "config": {"persist": False}},
        "logging": {
            "logs": {
                "default": {
                    "writer": {"output": "stderr"},
                    "level": "INFO",
                    "exclude": ["http.log.access"],
                },
                "access": {
                    "writer": {
                        "output": "net",
                        "address": f"unix/{access_log_socket}",
                        "soft_start": True,
                        "dial_timeout": "1s",
                    },
                    "encoder": access_encoder,
                    "level": "INFO",
                    "include": ["http.log.access"],
                },
            }
        },
        "apps": {"http": {"servers": {}}},
    }


def caddy_environment(admin_socket: str) -> dict[str, str]:
    """Environment variables to start Caddy with.

    Without the admin section in its configuration Caddy falls back to this address; its own default
    is a TCP port that every local user may open.
    """
    return {"CADDY_ADMIN": f"unix/{admin_socket}|0600"}
