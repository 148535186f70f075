"""Who takes part: originators, companies and who controls them, funders, and the clients that speak for them."""
