// Makes one charge with the credentials of the environment and prints its status and reference.
import { Pay88Error, TokenManager } from 'pay88';

try {
  const tm = new TokenManager();
  const res = await tm.makeRequest('/api/transactions/charges', {
    method: 'POST',
    body: JSON.stringify({
      flow: 'PAYIN',
      method_code: 'NEQUI',
      method_category: 'WALLET',
      amount: 50000,
      currency: 'COP',
      country: 'COL',
      description: 'An order',
      customer_id: 'customer-1',
      notification_url: 'https://shop.example/notify',
    }),
  });
  const { message, data } = await res.json();
  if (!res.ok) throw new Error(`${res.status} ${message}`);
  console.log(res.status, data.reference);
} catch (error) {
  console.error(error instanceof Pay88Error ? `${error.message} (outcome: ${error.outcome})` : error.message);
  process.exitCode = 1;
}
