"""The checklist as pytest suites: the plugin, the rows that must report, and what a row may reach the world through. Never moves a tag."""
