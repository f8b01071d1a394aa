"""A Discord on loopback: gateway v10, REST v10, CDN, and a control surface that acts as users.

It knows nothing of the bot: an unmodified discord.py client that is told another address works
against it, and so does anything else that speaks Discord's protocol.
"""
