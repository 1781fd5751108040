"""The product's own training code on public sets, beside the plainest use of the best library, with intervals."""
