//! What is recorded of a text, and what may be replied.
