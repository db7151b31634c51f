"""Above everything: the two commands, the `usher` CLI, the local supervisor, migrations and deployment."""
