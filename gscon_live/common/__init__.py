"""What every room uses: commands, errors, files, tables of names, templates."""
