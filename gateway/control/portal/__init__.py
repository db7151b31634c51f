"""The portal: its name, looks and legal texts, and its first admin."""
