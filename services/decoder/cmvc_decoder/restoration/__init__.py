"""The restorer of VT2V: a small network that corrects decoded pictures after they were scaled up."""
