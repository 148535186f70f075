"""Sales besides the rounds: auctions by sealed bids, co-funding of one asset, and trades between funders."""
