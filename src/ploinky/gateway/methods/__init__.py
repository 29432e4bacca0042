"""The rows of the RPC table, one file per subject; ``ploinky.gateway.rpc.table`` puts them together."""
