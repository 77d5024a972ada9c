<?php

/** The class of 88Pay's documentation ("Token Caching Strategy", PHP), as it stands there. */
class TokenManager {
    private $apiKey;
    private $merchantId;
    private $baseUrl;
    private $cache = null;
    private $expiresAt = null;

    public function __construct($apiKey, $merchantId, $baseUrl) {
        $this->apiKey = $apiKey;
        $this->merchantId = $merchantId;
        $this->baseUrl = $baseUrl;
    }

    public function getToken() {
        // Return cached token if valid (10s safety margin)
        if ($this->cache && time() < $this->expiresAt - 10) {
            return $this->cache;
        }

        // Generate new token
        $curl = curl_init();
        curl_setopt_array($curl, [
            CURLOPT_URL => $this->baseUrl . '/api/auth/token',
            CURLOPT_RETURNTRANSFER => true,
            CURLOPT_POST => true,
            CURLOPT_HTTPHEADER => [
                'x-api-key: ' . $this->apiKey,
                'x-merchant-id: ' . $this->merchantId
            ],
        ]);

        $response = curl_exec($curl);
        $httpCode = curl_getinfo($curl, CURLINFO_HTTP_CODE);
        curl_close($curl);

        if ($httpCode !== 200) {
            throw new Exception("Token generation failed: HTTP $httpCode");
        }

        $data = json_decode($response, true)['data'];

        // Cache with 50s TTL
        $this->cache = $data;
        $this->expiresAt = time() + 50;

        return $data;
    }

    public function makeRequest($endpoint, $method = 'GET', $body = null) {
        $tokenData = $this->getToken();

        $curl = curl_init();
        $headers = [
            'Authorization: Bearer ' . $tokenData['access_token'],
            'x-session-id: ' . $tokenData['session_id'],
            'Content-Type: application/json'
        ];

        curl_setopt_array($curl, [
            CURLOPT_URL => $this->baseUrl . $endpoint,
            CURLOPT_RETURNTRANSFER => true,
            CURLOPT_CUSTOMREQUEST => $method,
            CURLOPT_HTTPHEADER => $headers,
            CURLOPT_POSTFIELDS => $body ? json_encode($body) : null
        ]);

        $response = curl_exec($curl);
        curl_close($curl);

        return json_decode($response, true);
    }
}
