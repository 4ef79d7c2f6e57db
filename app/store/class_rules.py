"""The tables of names: phrases that a field's name ends with, and the class that each tells.

Read by `app.store.class_names`. Of two rules with the same phrase the first one counts.
"""

from typing import NamedTuple

S, N, B = "s", "n", "b"  # texts (and what is null or empty), numbers, booleans


class NameRule(NamedTuple):
    """Phrases are separated by commas, a word's alternatives by |. A name has one of `ends` as its
    last words, is one of `whole`, or has one of `words` anywhere. `types`: of values that a field
    of this kind may have."""

    id: str
    name: str
    confidence: float
    ends: str = ""
    whole: str = ""
    words: str = ""
    types: str = S


def markdown() -> str:
    """The table of names in the documents."""
    rows = ["| Class | Taken for it | Such as |", "|---|---|---|"]
    for rule in RULES:
        said = next(filter(None, (rule.ends, rule.whole, rule.words)))
        few = [" ".join(word.split("|")[0] for word in one.split()) for one in said.split(",")[:6]]
        rows.append(f"| `{rule.id}` | {rule.name} | {', '.join(few)} |")
    return "\n".join(rows) + "\n"


_ID = "id|ids|uid|uuid|guid|identifier|key|ref"
_ANY = f"{_ID}|hash|number|no|sub|handle"
_USER = (
    "user|usr|enduser|person|people|member|employee|actor|visitor|author|operator|admin|owner|"
    "student"
)
_MACHINE = "host|machine|computer|node|device|workstation|server|vm|hardware|hw|netbios"
_ORG = (
    "org|organization|organisation|company|tenant|customer|account|workspace|team|business|"
    "enterprise|employer|institution|department|project|realm"
)
_UNIT = (
    "install|installation|instance|cluster|deployment|site|app|application|agent|gateway|"
    "controller|replica|pod|container|namespace|stats|telemetry|analytics|client|session|process|"
    "runtime|worker|service|collector|stack|store|shop|database|db|kube"
)
_MESSAGE = (
    "trace|span|request|event|message|msg|batch|record|correlation|transaction|invocation|"
    "idempotency|insert|delivery|envelope|replay|run|query|job|task|parent|sequence|partition"
)
_NUMBERED = "number|no|id|date|hash|sha|string|tag|info|major|minor|patch|name|type"
_TO = "db|database|smtp|api|redis|kafka|target|upstream|base|remote|peer|site|root|public|external"

RULES = (
    NameRule(
        "licence", "licence", 0.9, types=S + N + B,
        words="license,licence,licenses,licences,licensing,licensed,licensee,licencee,lic,licls,"
        "entitlement,trial",
        ends="license|licence expires|issued|valid at|until|date|days|seconds,"
        "license|licence|lic type|id|uid|uuid|kind|plan|tier|status|state|expiry|expires|valid|"
        "level|edition|mode|count|seats|key|product|features|quota|limit|number,"
        "subscription|activation|product|serial key|code|expiry|status|plan|type,"
        "billing|pricing|price plan|tier,plan|tier name|type,entitlements", whole="plan,tier",
    ),
    NameRule(
        "environment", "switch of the environment", 0.6, types=B,
        ends="ci,docker,container,kube,wsl,cloud,root,localhost,virtual,vm,tty,interactive",
    ),
    NameRule(
        "contact", "e-mail", 0.9,
        ends="email|emails|mail|mails,email|mail address|addr|addresses,reply|mail to",
    ),
    NameRule(
        "contact", "telephone", 0.9, types=S + N,
        ends="phone|telephone|mobile|cellphone|fax|msisdn,"
        "phone|telephone|mobile|fax number|no|numbers",
    ),
    NameRule(
        "contact", "postal address", 0.8,
        ends="postal|street|mailing|billing|shipping|home|delivery address,street",
        whole="contact,contact info|details|person|name",
    ),
    NameRule(
        "identifier.person", "hash of an address", 0.8, ends="email|mail|phone hash|digest",
        types=S + N,
    ),
    NameRule(
        "identifier.person", "id of a person", 0.9, types=S + N,
        ends=f"{_USER} {_ANY},distinct|anonymous|anon|visitor|identity|profile {_ID},"
        "ssn,passport,passport|national|tax number|id|no",
    ),
    NameRule(
        "identifier.person", "user name", 0.9,
        ends=f"{_USER} name|names|login|alias,first|last|full|given|family|middle|nick|real|maiden|"
        "login|screen name,user,usr,login,logon,principal,logname,whoami,upn,author,committer,"
        "assignee,"
        "reviewer,created|updated|modified|started|requested|run|installed by,process owner,"
        "surname,sam account name,user full name,actor", whole="users,members,authors",
    ),
    NameRule("identifier.person", "display name", 0.7, ends="display name", whole="owner"),
    NameRule(
        "identifier.person", "home directory", 0.85,
        ends="home dir|directory|path|folder,user dir|directory|profile,userprofile",
        whole="home,user home",
    ),
    NameRule(
        "identifier.person", "a person's attribute", 0.8, types=S + N,
        ends="date of birth,birth day|date,birthday,birthdate,dob,gender,nationality,job title,"
        "avatar",
    ),
    NameRule("identifier.person", "uid", 0.6, ends="uid,euid,ruid,auid", types=S + N),
    NameRule(
        "identifier.device", "machine", 0.9,
        ends=f"{_MACHINE}|hosts|machines|computers|devices|nodes|servers name|names|label,"
        "fqdn,fqdns,nodename,sysname,host fqdn|alias,"
        "os|local|my|source|system|agent|client|physical|kube host",
        whole="host,hosts,hn,node,nodes,machine,machines,computer,workstation",
    ),
    NameRule(
        "identifier.device", "id of a machine", 0.9, types=S + N,
        ends=f"{_MACHINE}|board|chassis|bios|disk|boot|advertising|vendor|system|dmi|"
        f"product {_ANY},"
        "system uuid|serial,"
        "serial,serial number|no,imei,hwid,idfa,idfv,gaid,aaid,udid,adid",
    ),
    NameRule(
        "identifier.device", "MAC address", 0.9,
        ends="mac|ethernet|hw|hardware address|addr|addresses,mac,macs,bssid",
    ),
    NameRule("identifier.device", "fingerprint", 0.6, ends="fingerprint,finger print"),
    NameRule(
        "environment", "Kubernetes", 0.7,
        ends="namespace|pod|deployment|daemonset|statefulset|replicaset|cronjob|container|image|"
        "service|chart|workload|job name|namespace|names,daemon|stateful|replica set name,"
        "node pool,node pool name,ingress class,ingress class name,service account,"
        "service account name,cron job name,namespace,daemonset,statefulset,replicaset,cronjob,"
        "image,container image,image digest|tag,helm chart,"
        "kube provider|distribution|distro|platform",
        whole="pod,pods,container,containers,deployment,service,services,workload",
    ),
    NameRule(
        "identifier.installation", "name of a cluster", 0.6,
        ends="cluster|instance|site name,cluster", whole="instance,site",
    ),
    NameRule(
        "identifier.installation", "id of an installation", 0.85, types=S + N,
        ends=f"{_UNIT} {_ID}|hash,installation",
    ),
    NameRule(
        "identifier.installation", "an id", 0.6, ends="uuid,guid,cid,iid,sid,signature",
        types=S + N,
    ),
    NameRule(
        "identifier.organisation", "id of an organisation", 0.85, types=S + N,
        ends=f"{_ORG}|subscription {_ANY}",
    ),
    NameRule(
        "identifier.organisation", "name of an organisation", 0.8,
        ends=f"{_ORG} name|slug|code|domain|alias,"
        "org,organization,organisation,company,tenant,employer,workspace,customer,"
        "gcp|google|cloud|ci project,ci project path|name|url|title|namespace",
    ),
    NameRule(
        "identifier.organisation", "account or project", 0.5, whole="account,project,team",
    ),
    NameRule(
        "identifier.organisation", "repository", 0.6,
        ends="git|vcs|repo|repository remote|origin|url|uri|name|slug|owner,git remote url,"
        "remote origin url,git origin url,"
        "git|github|gitlab|bitbucket|ci repo|repository", whole="repo,repository,remote",
    ),
    NameRule(
        "opaque", "id of a message", 0.7, types=S + N,
        ends=f"{_MESSAGE} {_ID},trace parent|state,traceparent,tracestate,sentry trace,"
        "baggage,nonce",
    ),
    NameRule(
        "location", "place", 0.85,
        ends="country|city|region|continent|province|county|postal|postcode|zip|locality|town|geo|"
        "location|coordinates|coords|place|datacenter|datacentre|subdivision,"
        "country|city|region|continent|zip|postal|geo|location|state|cloud code|name|iso,"
        "country iso code,data center|centre,availability zone,cloud zone,geo location,geolocation",
        whole="az,zone",
    ),
    NameRule(
        "location", "postal code", 0.85, types=N,
        ends="zip,postal,postcode,zip|postal code",
    ),
    NameRule(
        "location", "coordinates", 0.9, types=S + N,
        ends="lat,latitude,lon,lng,longitude,altitude,gps",
    ),
    NameRule(
        "location", "time zone", 0.85, types=S + N,
        ends="time zone,timezone,tz,time zone name|id|offset,tz name|offset,zone info,zoneinfo,"
        "utc|gmt offset,tzname,utc|gmt|tz|timezone offset hours|minutes|seconds",
    ),
    NameRule(
        "network", "address", 0.85,
        ends="ip,ips,ip address|addr|addresses,remote|client|peer|source|destination|dest|local|"
        "bind|listen|advertise|advertised|public|private|internal|external|src|dst|server|network|"
        "net|socket ip|ips|address|addr|addresses|endpoint|endpoints,forwarded for,forwarded,"
        "cidr,cidrs,subnet,subnets,ssid,default gateway,nameserver,nameservers,name server|servers,"
        "network|net interface|interfaces|name,dns server|servers", whole="address,addr,gateway",
    ),
    NameRule(
        "network", "host or domain", 0.7,
        ends=f"domain,domains,subdomain,domain name|names,proxy,proxy url|host|server|address,"
        f"{_TO}|registry|ldap|idp|broker|bootstrap|collector|ingest|endpoint|server"
        " host|url|uri|endpoint|server|servers|domain|hosts,broker,brokers",
    ),
    NameRule(
        "network", "URL", 0.4, ends="url,urls,uri,uris,endpoint,endpoints,origin,referer,referrer",
    ),
    NameRule("environment", "user agent", 0.9, ends="user agent,browser,browser name", whole="ua"),
    NameRule(
        "environment", "operating system", 0.85, types=S + N,
        ends="os,kernel,platform,distro,distribution,uname,operating system,arch,architecture,goos,"
        "goarch,machine type,os|kernel|platform|distro|distribution|system name|type|version|ver|"
        "release|family|build|arch|architecture|id|codename|description|variant|kernel|major,"
        "os version name|id|codename,os kernel version,operating system version|name,os code name",
    ),
    NameRule(
        "environment", "hardware", 0.7,
        ends="cpu|gpu|processor|device|hardware|machine|instance|node|screen|phone type|model|"
        "family|brand|vendor|manufacturer|arch|architecture|info|class|size,cpu|device model name,"
        "manufacturer,cpu,gpu,screen,viewport,resolution,virtualization,virtualisation,hypervisor",
    ),
    NameRule(
        "environment", "size of the machine", 0.6, types=N,
        ends="num|number|total|n|logical|physical cpu|cpus|gpu|gpus|core|cores|processors|vcpus,"
        "cpu|gpu|core|processor|cores count|cores|number|num|total,total|physical|system|host|"
        "installed memory|mem|ram,memory|mem|ram|disk total|size,"
        "memory|mem|ram|disk total|size bytes|mb|gb|kb,total memory|mem|ram|disk bytes|mb|gb|kb,"
        "memory per device,cpus,gpus,cores,"
        "vcpus,pid,ppid,process id",
        whole="cpu,gpu,memory,ram",
    ),
    NameRule(
        "version", "version", 0.9, types=S + N,
        ends=f"version,versions,ver,semver,release,build,revision,rev,commit,codename,"
        f"version|release|build|revision|commit|git {_NUMBERED},git ref|revision|commit|describe,"
        "commit sha,build git hash,patch level,version string|number", whole="v,tag,code name",
    ),
    NameRule(
        "configuration", "page", 0.6,
        ends="page,pathname,route,screen,page|route|screen path|name|url|title", whole="path name",
    ),
    NameRule(
        "environment", "working directory", 0.8,
        ends="cwd,pwd,cwd path|dir,working|work|current dir|directory,workdir,workingdir",
    ),
    NameRule(
        "environment", "runtime", 0.7,
        ends="runtime,language,lang,locale,interpreter,implementation,python,ruby,java,jvm,"
        "nodejs,golang,dotnet,"
        "php,cloud,cloud provider,csp,orchestrator,environment,env,shell,term,"
        "terminal,sdk,lib,library,"
        "executable,program,binary,hosting,package manager,runtime|sdk|lib|library|client|agent|"
        "process|executable|program|environment|env|cloud|browser name|type|family|provider|vendor|"
        "path|code,install|installation|deploy|deployment type|method|source|mode|env|environment|"
        "platform,process executable name|path,telemetry sdk name|language,accept language",
        whole="client,agent,integration,go,ci,model,node js,process,provider",
    ),
    NameRule(
        "environment", "time", 0.6, types=S,
        ends="time,times,time stamp,timestamp,date,datetime,at,ts,created,updated,started,dtm,stm",
    ),
    NameRule(
        "environment", "instant", 0.6, types=N,
        ends="timestamp,time stamp,log|start|end|event|sent|creation|install|boot|build time|date,"
        "at,created,updated,started,dtm,stm,ts",
    ),
    NameRule(
        "usage", "event", 0.6,
        ends="event|action|category|feature|operation|status|result|outcome|severity|error|exit|"
        "state|phase|step|task|metric|command name|type|category|label|action|code|kind|class,"
        "event,events,action,category,status,result,outcome,severity,state,phase,level,metric,"
        "se ca|ac|la|pr", whole="e",
    ),
    NameRule(
        "text", "text", 0.7,
        ends="message,messages,msg,description,desc,comment,comments,note,notes,feedback,error,"
        "errors,exception,stack,stacktrace,traceback,backtrace,query string,stack trace,"
        "reason,detail,details,summary,"
        "text,content,prompt,prompts,completion,query,sql,statement,command,"
        "cmd,cmdline,command|cmd "
        "line|args|string,args,argv,arguments,input,output,log,logs,title,subject,question,search,"
        "search|free term|query|text,keywords,stderr,stdout,caption,bio,transcript,diff,snippet,"
        "error|log|exception|commit message|text|msg|detail|details|value|line|stacktrace",
    ),
    NameRule(
        "usage", "count", 0.8, types=N,
        words="count,counts,total,totals,num,number,sum,avg,average,mean,median,max,min,percentile,"
        "rate,ratio,size,bytes,duration,elapsed,latency,seconds,secs,ms,millis,uptime,used,usage,"
        "runs,requests,hits,errors,percent,score,usec,micros,nanos,active,daily,monthly,weekly",
    ),
    NameRule(
        "configuration", "limit", 0.7, types=S + N,
        ends="port,ports,log|logging level|format,timeout,limit,limits,interval,ttl,retention,"
        "threshold,replicas,retries,"
        "concurrency,batch size,period,quota,capacity,sampling,sample rate,verbosity,timeout|"
        "interval|ttl|retention|period ms|s|seconds|secs|days|hours|period|size",
    ),
    NameRule(
        "configuration", "setting", 0.6,
        ends="setting,settings,config,configuration,conf,mode,enabled,disabled,strategy,policy,"
        "option,options,flag,flags,type,types,kind,format,encoding,charset,channel,driver,"
        "backend,engine,"
        "edition,packaging,product,plugin,plugins,theme,schema,protocol,scheme,path,paths,file,"
        "files,"
        "filename,dir,directory,folder,source,target,provider,adapter,storage,module,modules,"
        "extension,extensions,feature,features,preference,role,permission,scope,tags,label,labels,"
        "group,topic,config|plugin|module|product|feature|channel|file name|names|path|dir|file|id",
    ),
)  # fmt: skip

# Headers of the protocol itself: they tell how it is spoken, not who speaks.
PROTOCOL = frozenset(
    """accept accept-charset accept-encoding age allow alt-svc cache-control connection
    content-disposition content-encoding content-length content-md5 content-range content-type date
    dnt etag expect host if-match if-modified-since if-none-match if-range keep-alive last-modified
    pragma priority range sec-fetch-dest sec-fetch-mode sec-fetch-site sec-fetch-user sec-gpc te
    trailer transfer-encoding upgrade upgrade-insecure-requests vary via x-requested-with
    sec-websocket-version sec-websocket-extensions sec-websocket-protocol grpc-accept-encoding
    grpc-encoding grpc-timeout""".split()  # noqa: SIM905 - read as a list of words
)
