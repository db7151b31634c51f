"""Money with everything on disk: movements a second, the audit, who may watch what, and checkout."""
