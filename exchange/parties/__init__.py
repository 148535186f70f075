"""Who takes part: originators, companies and the people who control them, funders, and the clients that speak for them."""
