"""Windows are coded in processes of their own, which can be killed: how these are started and told what to do."""
