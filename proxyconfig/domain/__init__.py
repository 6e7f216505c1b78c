"""What a tenant wants of a proxy and what the proxy should hold for it: values in, values out."""
