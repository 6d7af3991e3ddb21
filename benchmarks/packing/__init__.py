"""Packed AV1: how few bytes its headers take, and the script that made its primer."""
