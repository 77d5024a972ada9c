// As an ES module sees them: the same types.
import { TokenManager, type Token } from 'pay88';
import { authenticated } from 'pay88/undici';

const tm: TokenManager = new TokenManager();
export const token: Promise<Token> = tm.getToken();
export const interceptor = authenticated(tm);
