"""Published inputs: a table of what to fetch, resumable transfers, checksums, unpacking."""
