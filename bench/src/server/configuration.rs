//! The configuration of nginx.

use std::path::Path;

use crate::job::{CHARGE, Job, TOKEN};
use crate::program::is_root;

/// Of charges over HTTP/1.1 and where HTTP/2 is offered; of tokens that live 11 s and 60 s.
pub(super) type Ports = [u16; 4];

/// For a server that keeps its files below `root`, and answers a charge as the job says.
pub(super) fn text(root: &Path, address: &str, ports: Ports, job: &Job) -> String {
    let root = root.display();
    let [http1, http2, brief, minute] = ports;
    let (token, session, answer) = (&job.access_token, &job.session_id, &job.answer);
    let charges = format!("location = {CHARGE} {{ return 200 '{answer}'; }}");
    // Its workers read files that are this user's alone.
    let user = if is_root() { "user root;" } else { "" };
    // `return` does not wait for a body. A second server does, which gets it as a whole.
    let sink = format!("unix:{root}/sink");
    let tokens = |expires_in: u32| {
        format!(
            r#"return 200 '{{"status":"Success","code":200,"message":"Token generated successfully","data":{{"access_token":"{token}","expires_in":{expires_in},"session_id":"{session}"}}}}';"#
        )
    };
    let (hour, seconds, sixty) = (tokens(3600), tokens(11), tokens(60));
    format!(
        r#"daemon off;
worker_processes 1;
{user}
pid {root}/nginx.pid;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    default_type application/json;
    client_body_temp_path {root}/body;
    proxy_temp_path {root}/proxy;
    fastcgi_temp_path {root}/fastcgi;
    uwsgi_temp_path {root}/uwsgi;
    scgi_temp_path {root}/scgi;
    keepalive_requests 1000000000;
    keepalive_timeout 3600s;
    ssl_certificate {root}/server.pem;
    ssl_certificate_key {root}/server.key;
    ssl_protocols TLSv1.3;
    ssl_conf_command Ciphersuites TLS_AES_256_GCM_SHA384;
    log_format tokens '$msec $http_x_api_key';
    server {{
        listen {address}:{http1} ssl;
        listen {address}:{http2} ssl http2;
        {charges}
        location = {TOKEN} {{ {hour} }}
        location = /api/send {{
            client_max_body_size 20m;
            client_body_buffer_size 20m;
            proxy_pass http://{sink}:;
        }}
        location /api/answers/ {{ alias {root}/answers/; }}
    }}
    server {{
        listen {sink};
        client_max_body_size 20m;
        location / {{ return 200 '{answer}'; }}
    }}
    server {{
        listen {address}:{brief} ssl;
        location = {TOKEN} {{ {seconds} }}
    }}
    server {{
        listen {address}:{minute} ssl;
        location = {TOKEN} {{ access_log {root}/tokens.log tokens; {sixty} }}
    }}
}}
"#
    )
}
