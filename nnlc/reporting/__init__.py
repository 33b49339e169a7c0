"""Page of networks, their curves and a campaign's progress, as a file or live.

    folder → CampaignFolder or tables → payload → page      one HTML file, with all it needs
                                        payload → server    the same page, updated while it is open

`page/` holds the page's own HTML, CSS and JavaScript. The page loads nothing else.
"""
