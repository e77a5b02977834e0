"""What finished objects are worth: judged by CLIPs, measured, and set side by side."""
