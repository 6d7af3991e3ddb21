"""AV1 payloads in fewer bytes: coded headers, tile data as they are (docs/bitstream.md, "Packed AV1")."""
