"""The pages people see: templates, static files and the routes that serve them."""
