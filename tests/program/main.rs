//! The program as a user runs it: arguments, output, exit codes.
