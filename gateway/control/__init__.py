"""The control plane: accounts, titles, uploads, jobs and the right to watch."""
