"""The public face: Segment's tracking API, the settings document and the Analytics.js script."""
