"""Adapters of mail: a mail server by SMTP, a folder, and the letters themselves by templates."""
