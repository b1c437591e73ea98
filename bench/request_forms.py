"""Request logs as they are seen in the field, (a) to (l): the templates word for word, and lines of iRules in their shape.

For the tests, which say what is to be read from each, for the fuzzer, and for the bench, which says how fast.
"""

from __future__ import annotations

import re

DEVICE = {
    "BIGIP_HOSTNAME": "lb1.example.net",
    "CLIENT_IP": "10.9.9.9",
    "CLIENT_PORT": "39954",
    "DATE_HTTP": "Sun, 22 Nov 2026 09:25:10 GMT",
    "DATE_NCSA": "[22/Nov/2026:09:25:10 +0000]",
    "DATE_YYYY": "2026",
    "DATE_MM": "11",
    "DATE_DD": "22",
    "HTTP_KEEPALIVE": "Y",
    "HTTP_METHOD": "GET",
    "HTTP_PATH": "/orders",
    "HTTP_QUERY": "a=1",
    "HTTP_REQUEST": "GET /orders?a=1 HTTP/1.1",
    "HTTP_URI": "/orders?a=1",
    "HTTP_VERSION": "1.1",
    "TIME_HMS": "09:25:10",
    "TIME_OFFSET": "+0000",
    "TIME_USECS": "52000",
    "VIRTUAL_IP": "10.0.0.1",
    "VIRTUAL_NAME": "/Common/vs",
    "VIRTUAL_PORT": "443",
    "VIRTUAL_POOL_NAME": "/Common/p",
    "Host": "api.example.net",
    "host": "api.example.net",
    "User-agent": "curl/8.7 (x, y)",
    "X-Forwarded-For": "10.7.7.7, 10.8.8.8",
    "Content-Type": "application/json",
}
ANSWER = {
    "HTTP_STATCODE": "200",
    "HTTP_STATUS": "HTTP/1.1 200 OK",
    "RESPONSE_MSECS": "7",
    "RESPONSE_SIZE": "512",
    "SERVER_IP": "10.1.1.51",
    "SERVER_PORT": "8080",
    "SNAT_IP": "10.0.0.9",
    "SNAT_PORT": "1024",
}
VARIABLE = re.compile(r"\$(?:\{([A-Za-z0-9_-]+)\}|([A-Za-z][A-Za-z0-9_]*))")


def written(template: str, **values: str) -> str:
    """What a device writes with this template; what it does not have it leaves empty."""
    known = DEVICE | (ANSWER if values.pop("answered", "yes") else {}) | values
    return VARIABLE.sub(lambda match: known.get(match.group(1) or match.group(2), ""), template)


KV = 'hostname="$BIGIP_HOSTNAME",client_ip="$CLIENT_IP",server_ip="$SERVER_IP"'
REQUEST = 'event_source="request_logging",' + KV
RESPONSE = 'event_source="response_logging",' + KV
ASKED = 'http_method="$HTTP_METHOD",http_uri="$HTTP_URI"'
ENDS = 'virtual_name="$VIRTUAL_NAME",event_timestamp="$DATE_HTTP"'
STATUS = 'http_statcode="$HTTP_STATCODE",http_status="$HTTP_STATUS"'
TEMPLATES: dict[str, str] = {
    "a request": f"{REQUEST},{ASKED},{ENDS}",
    "a response": f'{RESPONSE},{ASKED},{ENDS},{STATUS},response_ms="$RESPONSE_MSECS"',
    "b request": f'{REQUEST},dest_ip="$VIRTUAL_IP",dest_port="$VIRTUAL_PORT",{ASKED},{ENDS},Microtimestamp="$TIME_USECS"',
    "b response": f'{RESPONSE},{ASKED},{ENDS},{STATUS},Microtimestamp="$TIME_USECS",response_ms="$RESPONSE_MSECS"',
    "c": "$CLIENT_IP ${X-Forwarded-For} $DATE_NCSA $VIRTUAL_IP $VIRTUAL_NAME $VIRTUAL_POOL_NAME $SERVER_IP $SERVER_PORT "
    '"$HTTP_PATH" "$HTTP_REQUEST" $HTTP_STATCODE $RESPONSE_SIZE $RESPONSE_MSECS "$Referer" "${User-agent}"',
    "d": '{"timestamp": "$DATE_YYYY-$DATE_MM-${DATE_DD}T${TIME_HMS}.000${TIME_OFFSET}", "client-ip": "${X-Forwarded-For}", '
    '"host": "$Host", "user-agent": "${User-agent}", "cookie": "$Cookie", "method": "$HTTP_METHOD", "uri": "$HTTP_URI", '
    '"username": "$Username", "content-type": "${Content-Type}", "server-ip": "$SERVER_IP", "latency": $RESPONSE_MSECS, '
    '"status": "$HTTP_STATCODE"}',
    "e request": "$DATE_NCSA REQUEST -> CLIENT = $CLIENT_IP:$CLIENT_PORT, VIP = $VIRTUAL_IP:$VIRTUAL_PORT, "
    "HTTP_VERSION = $HTTP_VERSION, HTTP_METHOD = $HTTP_METHOD, HTTP_KEEPALIVE = $HTTP_KEEPALIVE, HTTP_PATH = $HTTP_PATH, "
    "HTTP_QUERY = $HTTP_QUERY, HTTP_REQUEST = $HTTP_REQUEST, HTTP_URI = $HTTP_URI",
    "e response": "$DATE_NCSA, RESPONSE -> CLIENT = $CLIENT_IP:$CLIENT_PORT, VIP = $VIRTUAL_IP:$VIRTUAL_PORT, "
    "SERVER = $SERVER_IP:$SERVER_PORT, HTTP_VERSION = $HTTP_VERSION, HTTP_METHOD = $HTTP_METHOD, "
    "HTTP_KEEPALIVE = $HTTP_KEEPALIVE, HTTP_PATH = $HTTP_PATH, HTTP_QUERY = $HTTP_QUERY, HTTP_REQUEST = $HTTP_REQUEST, "
    "HTTP_STATUS = $HTTP_STATUS, HTTP_URI = $HTTP_URI, SNAT_IP = $SNAT_IP:$SNAT_PORT, F5_HOSTNAME = $BIGIP_HOSTNAME, "
    "RESPONSE_TIME = $RESPONSE_MSECS, RESPONSE_SIZE = $RESPONSE_SIZE",
    "k request": f'{REQUEST},{ASKED},http_host="${{host}}",{ENDS}',
    "k response": f'{RESPONSE},{ASKED},http_host="${{host}}",virtual_name="$VIRTUAL_NAME",http_statcode="$HTTP_STATCODE",'
    'event_timestamp="$DATE_HTTP"',
    "l": f'{RESPONSE},{ASKED},response_msec="$RESPONSE_MSEC",response_size="RESPONSE_SIZE",{ENDS}',
}

# What iRules and publishers write has no template: lines in the shape that the projects show.
LINES: dict[str, str] = {
    "f": (
        '<133>1 2026-11-22T09:25:10.570Z lb1.example.net f5LTM - ID2 [srcip="10.9.9.9" reqtime="1795339510052" method="GET" '
        'host="api" uri="/orders" uagent="curl/8" vsip="10.0.0.1" vsname="/Common/vs" vs="/Common/p" status="200" '
        'statusmsg="OK" responsetime="7" bytes="512" realserver="10.1.1.51" realport="8080" pool="/Common/p" rtt="1"]'
    ),
    "f without a member": (
        '<133>1 2026-11-22T09:25:10.570Z lb1.example.net f5LTM - ID2 [srcip="10.9.9.9" reqtime="1795339510052" method="GET" '
        'host="api" uri="/orders" uagent="curl/8" vsip="10.0.0.1" vsname="/Common/vs" vs="" status="" responsetime="" '
        'bytes="" realserver="" realport=""]'
    ),
    "g": (
        "<190>,f5_irule=Splunk-iRule-HTTP,src_ip=10.9.9.9,vip=10.0.0.1,http_method=GET,http_host=api:443,http_uri=/orders,"
        'http_url=api:443/orders,http_version=1.1,http_user_agent="M (a, b)",http_content_type=,http_referrer="",'
        'req_start_time=2026/11/22 09:25:10,cookie="a b",user=,virtual_server="/Common/p 10.1.1.51 8080",bytes_in=0,'
        "res_start_time=2026/11/22 09:25:10,node=10.1.1.51,node_port=8080,http_status=200,req_elapsed_time=7,bytes_out=512"
        "\r\n"
    ),
    "g that reached no member": (
        "<190>,f5_irule=Splunk-iRule-LB_FAILED,src_ip=10.9.9.9,vip=10.0.0.1,http_method=GET,http_host=api:443,"
        'http_uri=/orders,http_url=api:443/orders,http_version=1.1,http_user_agent="M",http_content_type=,http_referrer="",'
        'req_start_time=2026/11/22 09:25:10,cookie="",user=,virtual_server="/Common/p 0",bytes_in=0#015'
    ),
    "g in capitals": (
        '<190> CLIENT_IP=10.9.9.9, VIP=10.0.0.1, VIP_NAME="/Common/p 10.1.1.51 8080", SERVER_NODE=10.1.1.51, '
        "SERVER_NODE_PORT=8080, HTTP_URL=api:443/orders?a=1, HTTP_VERSION=1.1, HTTP_STATUS=200, HTTP_METHOD=GET, "
        'HTTP_CONTENT_TYPE=, HTTP_USER_AGENT="M (a, b)", HTTP_REFERRER="", COOKIE="", '
        "REQUEST_START_TIME=2026/11/22 09:25:10,REQUEST_ELAPSED_TIME=7, BYTES_IN=0, BYTES_OUT=512\r\n"
    ),
    "h": (
        '<111>1 2026-11-22T09:25:10+00:00 lb1 F5 - access_json - {"timestamp":"Sun, 22 Nov 2026 09:25:10 UTC", '
        '"event_type":"HTTP_REQUEST", "src_ip":"10.9.9.9", "src_port":"39192", "dest_ip":"10.0.0.1", "dest_port":"443", '
        '"http_host":"api", "uri_path":"/orders", "uri_query":"", "http_method":"GET", "header": { "Accept":"*/*" }}'
    ),
    "i": (
        "CEF:0|F5|BIG-IP|||HTTP Request|Low| src=10.9.9.9 spt=58541 dst=10.0.0.1 dpt=80 requestMethod=GET request=/orders "
        "requestClientApplication=Mozilla/5.0 (X; Y) http_code=200 suser= host=api"
    ),
    "j": (
        "Nov 22 09:25:10 lb1 info tmm1[16963]: Rule /Common/log <HTTP_RESPONSE>: virtual=/Common/vs client_ip=10.9.9.9 "
        'client_port=39954 lb_server=10.1.1.51:8080 host=api username= /orders request="POST /orders HTTP/1.1" '
        "server_status=200 content_type=application/json; charset=utf-8 content_length=725 resp_time=7 "
        'user_agent="M 5]" referer=https://x/y?z=1'
    ),
    "j in parts": (
        "Nov 22 09:25:10 lb1 info tmm[1234]: Rule /Common/log <HTTP_RESPONSE>: client=10.9.9.9 vip=10.0.0.1:443 "
        "pool=/Common/p member=10.1.1.51:8080 method=POST uri=/login host=api response_time=7ms status=200 bytes=89"
    ),
}


def every_line() -> dict[str, str]:
    """One line of each form, by its letter."""
    asked = {
        name: written(template, answered="" if "request" in name else "yes") for name, template in TEMPLATES.items()
    }
    return asked | LINES
