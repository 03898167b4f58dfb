//! The census: gathers what each room measures.
