"""The papers' tables and figures as data, and what turns them into runs, tables and a page."""
