"""Further spellings and hard cases of the corpus of fields: see `class_corpus`."""

SPELLINGS = {
    "usage": """
        usernames = 3
        email_count = 3
        emails_sent = 3
        country_count = 3
        api_key_count = 3
        token_count = 3
        max_tokens = 5
        memory_used = 5
        memory_mb = 1024
        disk_free = 5
        node_count = 3
        nodes = 3
        num_nodes = 3
        total_users = 4
        active_users = 4
        user.count = 4
        hosts_total = 4
        latency_p99 = 4
        uptime_seconds = 5
    """,
    "identifier.person": """
        user = jo
        $HOME = /home/jo
        HOMEPATH = x
        env.HOME = /root
        PWD = /home/jo
        user_home = /root
        currentUser = jo
        loggedInUser = jo
        os_username = jo
        login_name = jo
        sam_account_name = x
        principal = jo
        working-directory = /home/x
        project_path = /home/jo/p
        dir = /Users/jo
        userUUID = 0f4d7c1c-5e3d-4ddc-8a5a-86b4c1e3f6aa
        user_guid = x
        anonymous_id = x
        display_name = Jo
        full_name = Jo
        realname = Jo
        user.real_name = Jo
        author.name = Jo
    """,
    "environment": """
        uname = Linux host 5.10 x86_64
        env.PWD = /srv
        current_working_directory = /app
        currentDir = /app
        process.cwd = /app
        cwdPath = /app
        userAgent = x
        locale = de_DE
        os_version = 22.04
        osVersion = 10
        os.release = 5.10
        kernel = 5.10.0
        kernelRelease = 5.10
        architecture = amd64
        cpu_arch = x
        osArch = x
        cpu_model = Intel
        cpuCount = 4
        memory_total_bytes = 5
        mem_total = 5
        kubernetes.namespace = x
        pod_name = x
        podName = x
        deploymentName = x
        k8s_distribution = eks
        container_image = x/y:1
        python_implementation = CPython
        started_at = 2026-01-01T00:00:00Z
        start_time = 1700000000
        install_date = 2026-01-01
        ci = true
        isDocker = true
        image = nginx:1.25
        image_digest = sha256:abc
    """,
    "identifier.organisation": """
        accountName = x
        orgUUID = x
        org.id = x
        tenantId = x
        remote = git@github.com:org/repo.git
        git_remote_url = https://github.com/o/r
        repository = o/r
        company = X
        organization = X
        team = x
        account_uuid = x
        customerId = x
        project = x
        workspace = x
    """,
    "identifier.device": """
        HostName = x
        host-name = x
        hostFQDN = x
        machine.name = x
        os.hostname = x
        COMPUTERNAME = x
        server_hostname = x
        local_hostname = x
        instance_hostname = x
        device.hostname = x
        nodeHostname = x
        mac = x
        macAddresses[] = 00:11:22:33:44:55
        machine-id = x
        system_id = x
        hwid = x
        dmi_uuid = 0f4d7c1c-5e3d-4ddc-8a5a-86b4c1e3f6aa
        product_uuid = 0f4d7c1c-5e3d-4ddc-8a5a-86b4c1e3f6aa
        deviceUUID = x
    """,
    "identifier.installation": """
        installUUID = x
        installationUuid = x
        instance_uuid = x
        clusterUid = x
        cluster.uuid = x
        k8s_cluster_name = prod
        k8s.cluster.uid = x
    """,
    "configuration": """
        emailVerified = true
        ip_allowed = true
        has_api_key = true
        auth_enabled = true
        port = 8080
        listen_port = 80
        feature_enabled = true
        feature_flags.dark = true
        debug = true
        database_type = postgres
    """,
    "network": """
        email_domain = example.com
        ipv4 = 10.0.0.1
        endpoint = https://x
        server_url = https://x
        base_url = https://x
    """,
    "version": """
        ipVersion = 4
        ip_version = 4
        version = 1.2.3
        app_version = 1.2.3
        version_name = x
        api_version = v1
        schemaVersion = 2
        build_number = 12
        git_sha = abc
        commit = abcdef1
        node_version = v20.1.0
        goVersion = go1.22
        go_version = go1.22.1
        db_version = 15
        npm_package = left-pad@1.3.0
        dependency = @types/node@20.1.0
    """,
    "licence": """
        license_type = trial
        licenseExpiry = 2027-01-01
        is_licensed = true
        licensed_users = 5
        serialKey = x
    """,
    "secret": """
        token = x
        authToken = x
        bearer = x
        session_token = x
        csrf_token = x
        proxy_url = http://u:p@h:1
        dsn = https://abc@o1.ingest.sentry.io/1
    """,
    "opaque": """
        secret_name = x
        body_hash = 0f4d7c1c5e3d4ddc8a5a86b4c1e3f6aa
        checksum = 0f4d7c1c5e3d4ddc8a5a86b4c1e3f6aa
        data = AAAAB3NzaC1yc2E9
        payload = aGVsbG8gd29ybGQsIGhlbGxvIQ==
        name = Jo
    """,
    "location": """
        timezone_offset = -60
        tz_offset_minutes = 60
        tzname = CET
        country = US
        countryName = Germany
        geoip.country_code2 = US
        city_name = Berlin
        cloud.region = us-east-1
        aws_region = us-east-1
        zone = us-east-1a
        lat = 52.5
    """,
    "text": """
        error.stack = Error: x at y
        stacktrace = x
        user_message = hello
        note = hi
        prompt = write me
        comment = x
        reason = x
        query_string = a=b
        sql = SELECT
        x1 = some user written free text
    """,
    "contact": """
        phoneNumber = x
        contactEmail = x
        email_address = x
        owner_email = x
        mailto = jo@example.com
        support_email = x
        git.author.email = jo@x.org
    """,
}  # fmt: skip
