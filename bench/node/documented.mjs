/** The class of 88Pay's documentation ("Token Caching Strategy", JavaScript), as it stands there. */

// prettier-ignore
export class TokenManager {
  constructor(apiKey, merchantId, baseUrl) {
    this.apiKey = apiKey;
    this.merchantId = merchantId;
    this.baseUrl = baseUrl;
    this.cache = null;
    this.expiresAt = null;
  }

  async getToken() {
    // Return cached token if valid (10s safety margin)
    if (this.cache && Date.now() < this.expiresAt - 10000) {
      return this.cache;
    }
    // Generate new token
    const response = await fetch(`${this.baseUrl}/api/auth/token`, {
      method: 'POST',
      headers: {
        'x-api-key': this.apiKey,
        'x-merchant-id': this.merchantId
      }
    });
    if (!response.ok) {
      throw new Error(`Token generation failed: ${response.status}`);
    }
    const { data } = await response.json();
    // Cache with 50s TTL
    this.cache = data;
    this.expiresAt = Date.now() + 50000;
    return data;
  }

  // Convenience method for making authenticated requests
  async makeRequest(endpoint, options = {}) {
    const { access_token, session_id } = await this.getToken();
    return fetch(`${this.baseUrl}${endpoint}`, {
      ...options,
      headers: {
        ...options.headers,
        'Authorization': `Bearer ${access_token}`,
        'x-session-id': session_id,
        'Content-Type': 'application/json'
      }
    });
  }
}
